"""Nets for digits: trained (`quantised`, `spiking`), made of integers (`layers`), computed (`reference`), written as C (`image`)."""
