"""The networks: the words that tables are written in, the tables, and what can be built or counted from them."""
