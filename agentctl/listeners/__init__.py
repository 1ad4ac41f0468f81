"""Those who hear every committed event and can never stop a run."""
