"""What happened, as people ask for it: names of steps, selectors, first causes, comparisons and sums over the views."""
