"""`experiment-ci run`: a checkout on this machine, or a branch by the bot, from the terminal."""
