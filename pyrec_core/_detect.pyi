def simd_level() -> int:
    """Highest x86-64 level (1 to 4) that CPU and system support; 0 on other processors."""
