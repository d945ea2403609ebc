"""`python -m entitlements.edge.connector`: the program that runs in a company's network (`connectors/program.py`)."""

from entitlements.connectors.program import main

if __name__ == "__main__":
    main()
