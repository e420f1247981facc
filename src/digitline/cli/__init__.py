"""The command digitline, one module a subcommand, and how stages and commands begin and end."""
