"""How keys get through jobs: workers that survive bad input, on this machine or on Ray, and the gate before every host."""
