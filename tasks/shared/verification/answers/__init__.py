"""How answers are written: one spelling, lists, units, words, intervals. Pure text work; nothing is evaluated here."""
