"""Slow, obvious NumPy versions of every law, written without the engine, to test the engine against."""
