"""Other runs in Temporal: brakes, remediations, holds, predecessors."""
