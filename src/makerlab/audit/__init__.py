"""The audit: what of a finished run can be checked again, by others' rules than its own."""
