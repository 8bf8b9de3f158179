"""The checks of `kerasae doctor`: can this installation train, and how fast is what it stands on?"""
