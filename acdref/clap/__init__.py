"""Parts of the CLAP teacher, :mod:`acdref.clap.teacher`: bundle, graphs, front ends, tokenizer, prompts."""
