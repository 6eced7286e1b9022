"""Where experiments run. `base` is the protocol, `local` runs them on this machine.

A local attempt is `local` (the bot's side) and `supervisor` (a process of its own that outlives the bot), which speak
through files only: `orders` (what to do, and to stop), `journal` (what was seen).
"""
