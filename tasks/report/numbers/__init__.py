"""The numbers of a report: what is read from measurements, computed over seeds, compared, and checked."""
