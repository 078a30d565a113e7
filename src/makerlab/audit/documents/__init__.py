"""The project's own documents: every number of theirs stands in an artefact of a command."""
