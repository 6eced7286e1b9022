"""Metrics: what runs wrote into files becomes series, documents and pictures. Nothing in these files is trusted."""
