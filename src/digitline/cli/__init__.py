"""The command digitline, one module per subcommand, and the entry point of stages and commands."""
