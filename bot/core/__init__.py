"""The pure part: values in, values out. No clock, disk, network or environment."""
