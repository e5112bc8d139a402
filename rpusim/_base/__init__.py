"""What all floors stand on: specifications, checks, states, random streams, files, tables."""
