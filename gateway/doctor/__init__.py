"""What ``sse-gateway doctor`` looks at: one file per noun; each gathers little and judges in a pure function."""
