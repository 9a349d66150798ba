"""What stages share; knows no stage."""
