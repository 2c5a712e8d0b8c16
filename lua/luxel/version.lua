--- The version of the library, which models in files name; CHANGELOG.md says what changed.
return "0.2.0"
