"""The engine that asks a server which speaks OpenAI's API: vLLM, SGLang, llama.cpp, Ollama, a host, another Proctor."""
