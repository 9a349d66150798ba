"""Commands about what there is: settings, recipes, artifacts; and about what leaves the store."""
