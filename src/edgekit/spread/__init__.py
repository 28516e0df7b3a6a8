"""Work spread over processes of this machine, or over machines by Ray: tasks, who runs them, and what becomes of one whose worker dies."""
