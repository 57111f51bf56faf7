"""The files of a source: found, unpacked, read strictly. What is written in them does not matter here."""
