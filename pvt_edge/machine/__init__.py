"""Facts of the machine: processor, GPU, Jetson, system, versions."""
