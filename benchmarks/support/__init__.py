"""What the benchmarks share: options, reports, costs, shops and warehouses to measure on."""
