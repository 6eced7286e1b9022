"""The program beside a run: what the run measures comes in here, what looks at its ports goes through here."""
