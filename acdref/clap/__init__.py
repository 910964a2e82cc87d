"""Parts of the CLAP teacher, :mod:`acdref.teacher`: bundle, graphs, front ends, tokenizer, prompts."""
