"""What a person sees: `output` (consoles for any locale, pipe or terminal), `table` (tables that fit), `display` and `progress`
(what is drawn while something runs)."""
