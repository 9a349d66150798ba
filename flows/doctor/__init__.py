"""`midtrain doctor`: whether this machine is fit to run, and with a smoke run whether every kind of work runs on it."""
