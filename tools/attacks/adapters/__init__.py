"""One module per tool: what it can say (CAN), its version, and `call`, used the way the tool's own docs recommend."""
