"""What learning platforms export, in their form: students are placeholders."""

import zipfile

RECEIPT = """Name: Student {number} ({user})
Assignment: hw 1
Date Submitted: Thursday, October 1, 2026 11:59:59 PM CEST
Current Mark: Needs Marking

Submission Field:
There is no student submission text data for this assignment.

Comments:
There are no student comments for this assignment.

Files:
\tOriginal filename: work.ipynb
\tFilename: hw 1_{user}_attempt_2026-10-01-23-59-59_work.ipynb
"""
METADATA = """---
submission_9001:
  :submitters:
  - :name: Student One
    :sid: '101'
    :email: student01@example.edu
  :created_at: 2026-10-01 10:00:00.123456000 Z
  :score: 0.0
  :status: processed
  :results:
    tests: []
  :history: []
submission_9002:
  :submitters:
  - :name: Student Two
    :sid: '102'
    :email: student02@example.edu
  - :name: Student Three
    :sid: '103'
    :email: student03@example.edu
  :created_at: !ruby/object:ActiveSupport::TimeWithZone
    utc: 2026-10-01 13:00:00.000000000 Z
  :history: []
"""
# file: content, or "" for a notebook of the student that stands in the third column
EXPORTS = {
    "Canvas": {
        "onestudent_101_5001_work.ipynb": ("Student01 v1", "onestudent"),
        "onestudent_101_5002_work-1.ipynb": ("Student01 v2", "onestudent"),
        "twostudent_LATE_102_5003_a_77_88_b.ipynb": ("Student02", "twostudent"),
        "threestudent_103_5004_work.ipynb": ("Student03", "threestudent"),
        "fourstudent_104_text.html": ("<p>no file</p>", "fourstudent"),
    },
    "Moodle": {
        "Student One_101_assignsubmission_file_/work.ipynb": ("Student01", "Student One"),
        "Student Two_102_assignsubmission_file_/deep/work.ipynb": ("Student02", "Student Two"),
        "Same Name_103_assignsubmission_file_/work.ipynb": ("Student03", "Same Name 103"),
        "Same Name_104_assignsubmission_file_/work.ipynb": ("Student04", "Same Name 104"),
        "Student Two_102_assignsubmission_onlinetext_/onlinetext.html": ("<p>", "Student Two"),
    },
    "Moodle in one folder": {
        "Student One_101_assignsubmission_file_work.ipynb": ("Student01", "Student One"),
        "Student Two_102_assignsubmission_file_x_9_assignsubmission_file_y.ipynb": (
            "Student02",
            "Student Two",
        ),
    },
    "Brightspace": {
        "101-7001 - Student One - Oct 1, 2026 1145 AM/work.ipynb": ("Student01 v1", "Student One"),
        "101-7001 - Student One - Oct 1, 2026 215 PM/work.ipynb": ("Student01 v2", "Student One"),
        "102-7001 - Student - Two - 1 October, 2026 1159 PM/work.ipynb": (
            "Student02",
            "Student - Two",
        ),
        "index.html": ("<html>", None),
    },
    "Blackboard": {
        "hw 1_student01_attempt_2026-10-01-11-00-00_work.ipynb": ("Student01 v1", "student01"),
        "hw 1_student01_attempt_2026-10-01-23-59-59_work.ipynb": ("Student01 v2", "student01"),
        "hw 1_student01_attempt_2026-10-01-23-59-59.txt": (
            RECEIPT.format(number=1, user="student01"),
            None,
        ),
        "hw 1_student_02_attempt_2026-10-01-23-59-59_x_attempt_2020-01-01-00-00-00_y.ipynb": (
            "Student02",
            "student_02",
        ),
        "hw 1_student_02_attempt_2026-10-01-23-59-59.txt": (
            RECEIPT.format(number=2, user="student_02"),
            None,
        ),
    },
    "Gradescope": {
        "submission_metadata.yml": (METADATA, None),
        "submission_9001/work.ipynb": ("Student01", "Student One"),
        "submission_9002/deep/work.ipynb": ("Student02", "Student Two"),
        "submission_9002/submission_metadata.yml": ("a: [", "Student Two"),
    },
}
CANVAS_GRADEBOOK = """\
Student,ID,SIS User ID,SIS Login ID,Section,Notes,Reading (41),Homework 1 (42),Homework 10 (43),\
Assignments Current Score,Final Score
,,,,,,,Manual Posting,,,
    Points Possible,,,,,,5.00,23.00,10.00,(read only),(read only)
"Student, One",101,S101,student01@example.edu,Section A,,5.00,,,100.0,50.0
"Student, Two",102,S102,student02@example.edu,Section A and B,"kept, as it is",4.00,7.00,EX,,
"Student, Five",105,S105,student05@example.edu,Section B,,,11.00,,,
"Student, Test",199,,4f1c,Section A,,,,,,
"""
MOODLE_WORKSHEET = """\
Identifier,Full name,Email address,Status,Grade,Maximum Grade,Grade can be changed,\
Last modified (submission),Last modified (grade),Feedback comments
Participant 101,Student One,student01@example.edu,Submitted for grading - ,,23.00,Yes,\
"Thursday, 1 October 2026, 11:59 PM",-,
Participant 102,Student Two,student02@example.edu,Submitted for grading - ,7.00,23.00,Yes,\
"Thursday, 1 October 2026, 11:59 PM","Friday, 2 October 2026, 8:00 AM",kept
Participant 103,Same Name,student03@example.edu,Submitted for grading - ,,23.00,No,-,-,
Participant 105,Student Five,student05@example.edu,No submission - ,,23.00,Yes,-,-,
"""


def write_folder(export, folder):
    for name, (content, _) in EXPORTS[export].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def write_archive(export, path, below=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (content, _) in EXPORTS[export].items():
            archive.writestr(below + name, content)
        archive.writestr("__MACOSX/._x.ipynb", "x")
