"""How does a photo or a video get from a stranger's phone to everybody's screen, and nothing else with it?"""
