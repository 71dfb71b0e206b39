"""Measuring, for people who compare methods: speed and accuracy."""
