"""The roles of tasks, by the words that directories, logs and reports use for them."""

WORKER = "worker"
PARAMETER_SERVER = "parameter-server"
MASTER = "master"
TUNER = "tuner"
