"""What the programs beside ours need around them to be measured."""
