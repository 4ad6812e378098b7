"""`python -m bot` is the console script `obdag`."""

from bot.cli.main import main

main()
