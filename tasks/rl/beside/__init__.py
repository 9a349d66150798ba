"""Cross-entropy on other rows beside GRPO, in the same optimiser steps."""
