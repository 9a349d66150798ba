"""Stands where a launcher does: `-m tests.support.run_module -m MODULE ARGUMENT ...` runs the module by itself."""

import runpy
import sys

if __name__ == "__main__":
    _, _, module, *arguments = sys.argv
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__")
