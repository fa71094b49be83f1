"""The lint rules, one topic a module. A module offers `RULE` or `RULES`; `gwsim.topology.lint.catalogue` finds them."""
