"""The gateway node: reads events from Redis or Valkey and serves them to browsers as Server-Sent Events."""
