"""The HTTP connections' side: uvicorn's protocol with bounds, and the slim peer of an open stream."""
