"""`python -m gwsim`: the command line."""

from gwsim.cli import main

if __name__ == "__main__":
    main()
