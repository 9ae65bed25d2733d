"""Fakes and makers for tests. Only model weights are faked; disks, databases and processes are real."""
