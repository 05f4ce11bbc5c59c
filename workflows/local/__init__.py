"""The pages for services that run by compose on one machine: one module is what one page does there."""
