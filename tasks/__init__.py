"""What the stages of midtrain do: one room (sub-package) per stage, plus the spine in `tasks.spine.store`."""
