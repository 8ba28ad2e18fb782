"""What a person sees: terminal report, HTML pages, lab notebook, progress, start page, watch, doctor."""
