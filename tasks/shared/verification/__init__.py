"""Verdicts on final answers: extraction, grading rules, and a pool of killable grader processes.

Nothing is imported here on purpose: the grader's child process imports this package, and each import costs
start-up time and address space under its memory cap.
"""
